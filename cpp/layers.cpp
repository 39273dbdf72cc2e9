// The functions that run once per call or step: the drivers of the layers, the optimizers' steps and the named
// activations.
#include "staged/layer.hpp"
#include "stream.hpp"
#include "updates.hpp"

namespace fusedlstm {

FUSEDLSTM_ACTIVATIONS(, float);
FUSEDLSTM_ACTIVATIONS(, double);
FUSEDLSTM_UPDATES(, float);
FUSEDLSTM_UPDATES(, double);
FUSEDLSTM_DENSE(, float);
FUSEDLSTM_DENSE(, double);
FUSEDLSTM_LAYER(, float);
FUSEDLSTM_LAYER(, double);
FUSEDLSTM_WHOLE_MODEL(, float);
FUSEDLSTM_WHOLE_MODEL(, double);
FUSEDLSTM_STREAM_LAYERS(, float);
FUSEDLSTM_STREAM_LAYERS(, double);

namespace staged {
FUSEDLSTM_STAGED_LAYER(, float);
FUSEDLSTM_STAGED_LAYER(, double);
}  // namespace staged

}  // namespace fusedlstm
