"""Kubernetes quantities. Expected spellings are what k8s.io/apimachinery v0.34 writes back."""

import pytest

from prow_async.core import quantity


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("1000m", "1"),
        ("4000m", "4"),
        ("6600m", "6600m"),
        ("0.5", "500m"),
        (4, "4"),
        (0.5, "500m"),
        (1e9, "1G"),
        ("1e3", "1e3"),
        ("1024Mi", "1Gi"),
        ("1500Mi", "1500Mi"),
        ("1.5Gi", "1536Mi"),
        ("0", "0"),
        ("0Mi", "0"),
        ("512Ki", "512Ki"),
        ("0.0000000001", "1n"),
        ("1.0", "1"),
        ("-500m", "-500m"),
        ("100M", "100M"),
        ("1000k", "1M"),
        (" 5 ", "5"),
        ("9223372036854775808Ki", "9223372036854775807"),
    ],
)
def test_canonical_spelling(given: str | int | float, canonical: str) -> None:
    """What the API server would store."""
    assert quantity.canonical(given) == canonical


@pytest.mark.parametrize("given", ["", "lots", "1 Gi", "1gi", "1KiB", "--1", "1.2.3", "٣", "9" * 200])
def test_what_is_no_quantity_is_refused(given: str) -> None:
    """A QuantityError that names the text."""
    with pytest.raises(quantity.QuantityError):
        quantity.canonical(given)
