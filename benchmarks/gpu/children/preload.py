"""What every part imports, once for all of them: the server that children are forked from imports this module.

None of it touches CUDA, which a forked child could not use after its parent has; `pool` looks and starts children
afresh where that is no longer so.
"""

import os

# Whether there is a GPU is asked of the driver's library then, without a CUDA context.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")

import torch  # noqa: F401
import transformers.models.bart.modeling_bart
import transformers.models.distilbert.modeling_distilbert
import transformers.models.xlnet.modeling_xlnet  # noqa: F401
