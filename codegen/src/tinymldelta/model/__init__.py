"""Reading `.tflite` files: a bounded walk that makes hostile files harmless, then frozen tables.

Nothing outside this package imports flatbuffers or the TFLite schema.
"""

from tinymldelta.model.reader import (
    operator_code,
    operator_name,
    read_layout,
    read_model,
    read_model_file,
)
from tinymldelta.model.tables import (
    Graph,
    Layout,
    Model,
    Node,
    Operator,
    Quantisation,
    Span,
    Tensor,
)

__all__ = [
    "Graph",
    "Layout",
    "Model",
    "Node",
    "Operator",
    "Quantisation",
    "Span",
    "Tensor",
    "operator_code",
    "operator_name",
    "read_layout",
    "read_model",
    "read_model_file",
]
