"""Every error a user can cause or meet, and nothing else.

    SpaError
    ├── ParamsError      params.yaml or compute.yaml says something impossible
    ├── InputError       a row of the user's data cannot be used
    ├── ArtefactError    a file of an earlier stage is missing, damaged or of another shape
    ├── ModelError       a model or tokenizer cannot be fetched, read or used
    ├── EngineError      another program or process that does the work cannot be started, or fails
    ├── AnnotationError  an annotator cannot be loaded, or gives no usable preference
    ├── ContractError    the data checks stop the run
    └── TrainingError    training cannot go on

A message is one line and says where, what was found, what was wanted and what to do.
The command line prints it as it is and exits with code 1; every other exception is a bug
and keeps its traceback.
"""


class SpaError(Exception):
    """Something a user can understand and mend; its text is shown as one plain line."""


class ParamsError(SpaError):
    """params.yaml or compute.yaml is missing, is not YAML or holds impossible values."""


class InputError(SpaError):
    """A row of input data cannot be used; names file, row and field."""


class ArtefactError(SpaError):
    """A file written by an earlier stage is missing, damaged or has other columns."""


class ModelError(SpaError):
    """A model folder, Hub id or wheel cannot be fetched, verified, read or used."""


class EngineError(SpaError):
    """A program or process that does the work cannot be started, or ends before it is done."""


class AnnotationError(SpaError):
    """An annotator cannot be loaded, or gives something that is no preference."""


class ContractError(SpaError):
    """Data checks found too much dirt, or too little was left, to train on."""


class TrainingError(SpaError):
    """Training met numbers it cannot go on with, or too few pairs for one step."""
