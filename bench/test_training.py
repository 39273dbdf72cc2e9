"""Time forward and backward of one LSTM layer, with the gradients of weights and input."""


def test_training(problem, compare):
    compare("training", problem.name, problem.training(), problem.work("training"))
