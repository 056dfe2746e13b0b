"""What all sections of params.yaml and compute.yaml have in common."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
MOST = 2**31 - 1


def _countable(number: int) -> int:
    if number > MOST:  # a slip, and arithmetic with floats would overflow
        raise ValueError(f"wanted at most {MOST}")
    return number


Count = Annotated[int, Field(ge=0), AfterValidator(_countable)]
Positive = Annotated[int, Field(ge=1), AfterValidator(_countable)]
Several = Annotated[int, Field(ge=2), AfterValidator(_countable)]
EngineName = Literal["transformers", "vllm"]


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys and numbers that are not finite refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )
