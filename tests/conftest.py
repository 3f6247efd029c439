"""Shapes in signatures are checked while testing: jaxtyping reads them, beartype holds the calls against them."""

import os

import torch
from jaxtyping import install_import_hook

os.environ.setdefault("HF_HUB_OFFLINE", "1")
install_import_hook("polymodal", "beartype.beartype")
torch.set_num_threads(1)
