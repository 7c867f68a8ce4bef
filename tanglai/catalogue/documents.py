"""In charge of the catalogue's documents: the JSON in files and in the platform database <-> the model's data classes.

Every `..._from_document` raises DocumentError with the path of each problem; every `..._to_document` gives the
canonical form, so that equal objects have equal documents, and reading it gives the object back.
"""

from tanglai.catalogue.documents_base import DocumentError, Path, Problem, path_text
from tanglai.catalogue.documents_grant import GrantDocument, grant_from_document, grant_to_document
from tanglai.catalogue.documents_register import (
    category_from_document,
    category_to_document,
    department_from_document,
    department_to_document,
    division_from_document,
    division_to_document,
    purpose_from_document,
    purpose_to_document,
    source_from_document,
    source_to_document,
)
from tanglai.catalogue.documents_resource import resource_from_document, resource_to_document
from tanglai.catalogue.predicates import predicate_from_document, predicate_to_document

__all__ = [
    "DocumentError",
    "GrantDocument",
    "Path",
    "Problem",
    "category_from_document",
    "category_to_document",
    "department_from_document",
    "department_to_document",
    "division_from_document",
    "division_to_document",
    "grant_from_document",
    "grant_to_document",
    "path_text",
    "predicate_from_document",
    "predicate_to_document",
    "purpose_from_document",
    "purpose_to_document",
    "resource_from_document",
    "resource_to_document",
    "source_from_document",
    "source_to_document",
]
