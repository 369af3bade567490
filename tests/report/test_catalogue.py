from stablereward.report.catalogue import FIRST, GROUPS
from stablereward.report.spreads import DISTRIBUTIONS

CURVES = [*FIRST, *(curve for curves in GROUPS.values() for curve in curves)]


def test_every_metric_has_one_place():
    metrics = [metric for curve in CURVES for metric in curve.metrics]
    assert len(metrics) == len(set(metrics))
    titles = [curve.title for curve in CURVES]
    assert len(titles) == len(set(titles))


def test_several_metrics_have_names_and_remarks_are_short():
    for curve in CURVES:
        assert len(curve.names) == (len(curve.metrics) if len(curve.metrics) > 1 else 0)
    for one in (*CURVES, *DISTRIBUTIONS.values()):
        assert len(one.says) <= 60
        assert len(one.bad) <= 95
        assert not one.bad or one.bad.endswith(".")
