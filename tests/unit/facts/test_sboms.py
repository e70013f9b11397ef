"""SBOMs become packages with their licences."""

import pytest

from tests.support.builders import digest
from tests.unit.facts.reports import changed, content
from towline.errors import UnusableInputError
from towline.facts import read_report

MANIFEST = digest("manifest")


def test_a_cyclonedx_document_is_read() -> None:
    report = read_report(content("cyclonedx"))
    assert report.tool == "cyclonedx 1.6"
    assert report.digests == (MANIFEST,)
    assert report.vulnerabilities is None
    assert report.components is not None
    assert [(c.name, c.version, c.licenses) for c in report.components] == [
        # Within another component, and its group is the scope of npm.
        ("@angular/core", "19.0.0", ()),
        ("debian", "12.8", ()),
        # Both apply; a name that is no id of SPDX stays.
        ("liblzma5", "5.6.0-1", (("0BSD", "GPL v2"),)),
        ("org.apache.commons:commons-lang3", "3.17.0", (("Apache-2.0",), ("BSD-3-Clause", "MIT"))),
    ]


@pytest.mark.parametrize("version", ["1.4", "1.5", "1.6", "1.7"])
def test_these_versions_of_cyclonedx_are_read(version: str) -> None:
    assert changed("cyclonedx", lambda value: value.update(specVersion=version)).tool == f"cyclonedx {version}"


@pytest.mark.parametrize("version", ["1.3", "2.0", "", None, 1.5])
def test_other_versions_of_cyclonedx_are_refused(version: object) -> None:
    with pytest.raises(UnusableInputError, match=r"specVersion: .* known are 1\.4, 1\.5, 1\.6, 1\.7"):
        changed("cyclonedx", lambda value: value.update(specVersion=version))


def test_each_way_to_name_the_image_in_cyclonedx_counts() -> None:
    purl_only = changed("cyclonedx", lambda value: value["metadata"]["component"].pop("properties"))
    assert purl_only.digests == (MANIFEST,)
    as_version = {"type": "container", "name": "website", "version": MANIFEST}
    assert changed("cyclonedx", lambda value: value["metadata"].update(component=as_version)).digests == (MANIFEST,)
    application = as_version | {"type": "application"}
    assert changed("cyclonedx", lambda value: value["metadata"].update(component=application)).digests == ()
    assert changed("cyclonedx", lambda value: value.pop("metadata")).digests == ()


def test_an_spdx_document_is_read() -> None:
    report = read_report(content("spdx"))
    assert report.tool == "spdx 2.3"
    assert report.digests == (MANIFEST,)
    assert report.vulnerabilities is None
    assert report.components is not None
    assert [(c.name, c.version, c.licenses) for c in report.components] == [
        # What was concluded comes before what was declared, unless nothing was.
        ("commons-lang3", "3.17.0", (("Apache-2.0",),)),
        ("liblzma5", "5.6.0-1", (("0BSD", "GPL-2.0-only WITH Classpath-exception-2.0"),)),
        ("secret-sauce", "", ()),
    ]
    assert report.components[1].purl == "pkg:deb/debian/liblzma5@5.6.0-1?arch=amd64"


@pytest.mark.parametrize("version", ["SPDX-2.2", "SPDX-3.0", "2.3", None])
def test_other_versions_of_spdx_are_refused(version: object) -> None:
    with pytest.raises(UnusableInputError, match=r"spdxVersion: .* known is SPDX-2\.3"):
        changed("spdx", lambda value: value.update(spdxVersion=version))


def test_a_package_that_is_listed_twice_is_one() -> None:
    report = changed("spdx", lambda value: value["packages"].extend(value["packages"]))
    assert report == read_report(content("spdx"))


def test_what_is_no_package_url_is_refused_with_its_place() -> None:
    with pytest.raises(UnusableInputError, match=r"components\.2: 'nonsense' is no package URL"):
        changed("cyclonedx", lambda value: value["components"][2].update(purl="nonsense"))
