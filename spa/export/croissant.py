"""Croissant metadata of the pairs: what each file and column is, with its hash, as JSON-LD.

Source: the Croissant format 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec-1.0.html.
"""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from spa import __version__
from spa.export.pairs import PublishedPair

_CROISSANT = "http://mlcommons.org/croissant/"
_TERMS = (
    "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet",
    "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path",
    "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
    "source", "subField", "transform", "citeAs",
)  # fmt: skip
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": _CROISSANT,
    "rai": f"{_CROISSANT}RAI/",
    "sc": "https://schema.org/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def croissant(name: str, files: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    """The metadata of a folder of pairs.

    Args:
        name: the data set's.
        files: SHA-256 and size in bytes of every Parquet file, by its name without suffix.
    """
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": f"{_CROISSANT}1.0",
        "name": name,
        "description": "Preference pairs that a language model was trained on by SPA "
        "(arXiv:2406.04412), and those that its data checks dropped.",
        "citeAs": "Spread Preference Annotation, ICLR 2025, arXiv:2406.04412",
        "version": __version__,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"{file}.parquet",
                "name": f"{file}.parquet",
                "contentUrl": f"{file}.parquet",
                "contentSize": f"{size} B",
                "encodingFormat": "application/x-parquet",
                "sha256": sha256,
            }
            for file, (sha256, size) in files.items()
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": file,
                "name": file,
                "field": [_field(file, column) for column in PublishedPair.SCHEMA],
            }
            for file in files
        ],
    }


def _field(file: str, column: pa.Field) -> dict[str, Any]:
    many = pa.types.is_list(column.type)
    of = column.type.value_type if many else column.type
    entry: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{file}/{column.name}",
        "name": column.name,
        **({"repeated": True} if many else {}),
    }
    if not pa.types.is_struct(of):
        return {**entry, "dataType": _type(of), "source": _source(file, column.name)}
    return {
        **entry,
        "subField": [
            {
                "@type": "cr:Field",
                "@id": f"{file}/{column.name}/{part.name}",
                "name": part.name,
                "dataType": _type(part.type),
                "source": {
                    **_source(file, column.name),
                    "transform": {"jsonPath": part.name},
                },
            }
            for part in of
        ],
    }


def _source(file: str, column: str) -> dict[str, Any]:
    return {"fileObject": {"@id": f"{file}.parquet"}, "extract": {"column": column}}


def _type(of: pa.DataType) -> str:
    if pa.types.is_boolean(of):
        return "sc:Boolean"
    if pa.types.is_integer(of):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(of) else "sc:Text"
