"""Forward and backward of one LSTM layer, with the gradients of weights and input."""


def test_training(problem, shape, compare):
    compare("forward + backward + dX", problem.training(), 3 * shape.flops)
