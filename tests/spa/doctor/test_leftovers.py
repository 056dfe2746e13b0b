"""What a killed DVC leaves behind."""

import pytest

from spa.doctor.leftovers import check_leftovers
from spa.layout import Layout
from tests.spa.doctor.examined import faults_of


@pytest.mark.parametrize("content", ["", '{"write": {', "{}"])
def test_a_lock_that_a_killed_dvc_half_wrote_is_a_fault(pipeline: Layout, content: str) -> None:
    lock = pipeline.root / ".dvc" / "tmp" / "rwlock"
    assert faults_of(check_leftovers(pipeline)) == []
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(content)
    found = faults_of(check_leftovers(pipeline))
    assert found == [] if content == "{}" else "`rm .dvc/tmp/rwlock`" in found[0]
