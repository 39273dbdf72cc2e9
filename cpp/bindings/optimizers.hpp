// Gradient clipping and the steps of the optimizers for Python.
#pragma once

#include <cmath>

#include "bindings/arrays.hpp"
#include "ops/optimizer_steps.hpp"

namespace fusedlstm {

inline double clip_norm_array(const py::array& gradients, double max_norm) {
  return with_dtype(gradients, [&](auto tag) {
    using S = decltype(tag);
    S* values = output_of<S>(gradients, gradients.size());
    const ReleaseGil release;
    const FlushSubnormals flush;
    return clip_norm(values, gradients.size(), max_norm);
  });
}

// The arguments that all optimizers share, as pointers.
template <class S>
struct Step {
  Index count;
  S* parameters;
  const S* gradients;
  const S* decay;
  Step(const py::array& p, const py::array& g, const py::object& d)
      : count(p.size()),
        parameters(output_of<S>(p, count)),
        gradients(input_of<S>(g, count)),
        decay(input_of<S>(d, count)) {}
};

inline void sgd_step_array(const py::array& parameters, const py::array& gradients, const py::object& velocity,
                           double learning_rate, double momentum, bool nesterov, const py::object& decay,
                           double weight_decay) {
  with_dtype(parameters, [&](auto tag) {
    using S = decltype(tag);
    const Step<S> step(parameters, gradients, decay);
    S* v = output_of<S>(velocity, step.count);
    const ReleaseGil release;
    const FlushSubnormals flush;
    sgd_step(step.parameters, step.gradients, v, step.count, S(learning_rate), S(momentum), nesterov, step.decay,
             S(weight_decay));
  });
}

inline void rmsprop_step_array(const py::array& parameters, const py::array& gradients, const py::array& squares,
                               double learning_rate, double rho, double epsilon, const py::object& decay,
                               double weight_decay) {
  with_dtype(parameters, [&](auto tag) {
    using S = decltype(tag);
    const Step<S> step(parameters, gradients, decay);
    S* s = output_of<S>(squares, step.count);
    const ReleaseGil release;
    const FlushSubnormals flush;
    rmsprop_step(step.parameters, step.gradients, s, step.count, S(learning_rate), rho, epsilon, step.decay,
                 S(weight_decay));
  });
}

inline void adagrad_step_array(const py::array& parameters, const py::array& gradients, const py::array& squares,
                               double learning_rate, double epsilon, const py::object& decay, double weight_decay) {
  with_dtype(parameters, [&](auto tag) {
    using S = decltype(tag);
    const Step<S> step(parameters, gradients, decay);
    S* s = output_of<S>(squares, step.count);
    const ReleaseGil release;
    const FlushSubnormals flush;
    adagrad_step(step.parameters, step.gradients, s, step.count, S(learning_rate), epsilon, step.decay,
                 S(weight_decay));
  });
}

// The step of Adam, AMSGrad and Nadam. factor (of the mean) and ahead (of the gradient) contain the bias correction of
// step t. The bias correction of the squares is computed here.
inline void corrected_step(const py::array& parameters, const py::array& gradients, const py::array& mean,
                           const py::array& squares, const py::object& highest, Index t, double factor, double ahead,
                           double beta1, double beta2, double epsilon, const py::object& decay, double weight_decay,
                           double shrink) {
  with_dtype(parameters, [&](auto tag) {
    using S = decltype(tag);
    const Step<S> step(parameters, gradients, decay);
    S *m = output_of<S>(mean, step.count), *v = output_of<S>(squares, step.count);
    S* h = output_of<S>(highest, step.count);
    const double root = std::sqrt(1 - std::pow(beta2, double(t)));
    const AdamFactors<S> factors{S(beta1),
                                 S(beta2),
                                 remaining<S>(beta1),
                                 remaining<S>(beta2),
                                 at_least_normal<S>(epsilon),
                                 S(factor),
                                 S(ahead),
                                 S(root),
                                 S(weight_decay),
                                 S(shrink)};
    const ReleaseGil release;
    const FlushSubnormals flush;
    adam_step(step.parameters, step.gradients, m, v, h, step.count, factors, step.decay);
  });
}

inline void amsgrad_step_array(const py::array& parameters, const py::array& gradients, const py::array& mean,
                               const py::array& squares, const py::object& highest, Index t, double learning_rate,
                               double beta1, double beta2, double epsilon, const py::object& decay, double weight_decay,
                               bool decoupled) {
  corrected_step(parameters, gradients, mean, squares, highest, t, learning_rate / (1 - std::pow(beta1, double(t))),
                 0.0, beta1, beta2, epsilon, decay, decoupled ? 0.0 : weight_decay,
                 decoupled ? learning_rate * weight_decay : 0.0);
}

inline void adam_step_array(const py::array& parameters, const py::array& gradients, const py::array& mean,
                            const py::array& squares, Index t, double learning_rate, double beta1, double beta2,
                            double epsilon, const py::object& decay, double weight_decay, bool decoupled) {
  amsgrad_step_array(parameters, gradients, mean, squares, py::none(), t, learning_rate, beta1, beta2, epsilon, decay,
                     weight_decay, decoupled);
}

inline void nadam_step_array(const py::array& parameters, const py::array& gradients, const py::array& mean,
                             const py::array& squares, Index t, double factor, double ahead, double beta1, double beta2,
                             double epsilon, const py::object& decay, double weight_decay) {
  corrected_step(parameters, gradients, mean, squares, py::none(), t, factor, ahead, beta1, beta2, epsilon, decay,
                 weight_decay, 0.0);
}

inline void lion_step_array(const py::array& parameters, const py::array& gradients, const py::array& mean,
                            double learning_rate, double beta1, double beta2, const py::object& decay,
                            double weight_decay) {
  with_dtype(parameters, [&](auto tag) {
    using S = decltype(tag);
    const Step<S> step(parameters, gradients, decay);
    S* m = output_of<S>(mean, step.count);
    const ReleaseGil release;
    const FlushSubnormals flush;
    lion_step(step.parameters, step.gradients, m, step.count, S(learning_rate), beta1, beta2, step.decay,
              S(learning_rate * weight_decay));
  });
}

}  // namespace fusedlstm
