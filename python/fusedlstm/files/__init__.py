"""Files of models, estimators, transformers and checkpoints."""
