"""What is asked of a tracking server once more, and what is not."""

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INTERNAL_ERROR

from spa.tracking.server import raced


class _Fails:
    """Fails the first `times` calls, as a server does."""

    def __init__(self, code: int, times: int) -> None:
        self._code, self._times, self.calls = code, times, 0

    def __call__(self, value: int) -> int:
        self.calls += 1
        if self.calls <= self._times:
            raise MlflowException("(UniqueViolation) duplicate key", error_code=self._code)
        return value


def test_the_second_of_two_equal_things_looks_again() -> None:
    call = _Fails(BAD_REQUEST, 1)
    assert raced(call, 3) == 3
    assert call.calls == 2


@pytest.mark.parametrize(("code", "calls"), [(BAD_REQUEST, 2), (INTERNAL_ERROR, 1)])
def test_other_faults_stay_faults(code: int, calls: int) -> None:
    call = _Fails(code, 9)
    with pytest.raises(MlflowException):
        raced(call, 3)
    assert call.calls == calls
