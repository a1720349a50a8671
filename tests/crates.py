"""Checks of an RO-Crate by rocrate-validator, without network access."""

import json
from tempfile import TemporaryDirectory

import pytest
import requests
from rocrate_validator.models import ValidationSettings
from rocrate_validator.services import validate
from rocrate_validator.utils.http import HttpRequester

# The part of the context of RO-Crate 1.1 (https://w3id.org/ro/crate/1.1/context) that
# the crates of this program use; any other term is an error
SCHEMA_ORG = """
CreativeWork Dataset Person Organization PropertyValue CreateAction ComputerLanguage
SoftwareSourceCode SoftwareApplication about actionStatus additionalProperty
additionalType affiliation agent alternateName author contentSize creator dateCreated
datePublished description encodingFormat endTime exampleOfWork hasPart identifier
instrument license mainEntity mentions name object programmingLanguage publisher result
sdPublisher softwareRequirements softwareVersion startTime subjectOf url value version
"""
CONTEXT = {
    **{name: f"http://schema.org/{name}" for name in SCHEMA_ORG.split()},
    "File": "http://schema.org/MediaObject",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}


def validator_issues(crate, severity):
    """Return the checks of the Workflow Run Crate that a folder or zip file fails.

    Returns
    -------
    set of (identifier, message)
    """
    with TemporaryDirectory() as cache, pytest.MonkeyPatch.context() as patch:
        patch.setattr(HttpRequester, "get", _context, raising=False)
        settings = ValidationSettings(
            rocrate_uri=str(crate),
            profile_identifier="workflow-run-crate",
            requirement_severity=severity,
            offline=True,
            cache_path=cache,
        )
        issues = validate(settings).get_issues()
    return {(one.check.identifier, one.message) for one in issues}


def _context(self, url, **kwargs):
    assert url == "https://w3id.org/ro/crate/1.1/context"
    response = requests.Response()
    response.status_code, response.url = 200, url
    response.headers["Content-Type"] = "application/ld+json"
    response._content = json.dumps({"@context": CONTEXT}).encode()
    return response
