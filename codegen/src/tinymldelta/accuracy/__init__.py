"""The accuracy gate: base and target run on the user's data, and a target that is worse is refused.

data: the samples, and how a model is given one; metrics: what is measured; bounds: what so many
samples can tell; gate: the run and the decision; record: its result as a patch carries it; choose:
test vectors from the same samples.
"""

from tinymldelta.accuracy.choose import choose_vectors
from tinymldelta.accuracy.data import Samples, read_samples
from tinymldelta.accuracy.gate import GateResult, Judged, WorseTarget, judge
from tinymldelta.accuracy.metrics import Metric, choose_metric
from tinymldelta.accuracy.record import TITLES, AccuracyRecord, MetricKind, metric_value

__all__ = [
    "AccuracyRecord",
    "GateResult",
    "Judged",
    "Metric",
    "MetricKind",
    "TITLES",
    "Samples",
    "WorseTarget",
    "choose_metric",
    "choose_vectors",
    "judge",
    "metric_value",
    "read_samples",
]
