// Instantiates the functions that run once per call or step: the drivers of the layers, ops, the steps of the
// optimizers and the activations by name.
#include "ops/dense_op.hpp"
#include "ops/last_step_op.hpp"
#include "ops/optimizer_steps.hpp"
#include "ops/pool.hpp"
#include "ops/recurrent_op.hpp"

namespace fusedlstm {

FUSEDLSTM_ACTIVATIONS(, float);
FUSEDLSTM_ACTIVATIONS(, double);
FUSEDLSTM_OPTIMIZER_STEPS(, float);
FUSEDLSTM_OPTIMIZER_STEPS(, double);
FUSEDLSTM_DENSE(, float);
FUSEDLSTM_DENSE(, double);
FUSEDLSTM_LAYER(, float);
FUSEDLSTM_LAYER(, double);
FUSEDLSTM_RECURRENT_OP(, float);
FUSEDLSTM_RECURRENT_OP(, double);
FUSEDLSTM_DENSE_OP(, float);
FUSEDLSTM_DENSE_OP(, double);
FUSEDLSTM_LAST_STEP_OP(, float);
FUSEDLSTM_LAST_STEP_OP(, double);
FUSEDLSTM_POOL_OP(, float);
FUSEDLSTM_POOL_OP(, double);

}  // namespace fusedlstm
