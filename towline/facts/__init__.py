"""What scanners and SBOM tools report about an image, read into facts. Pure: bytes in, data out."""

from towline.facts.about import fact_about
from towline.facts.parts import Report
from towline.facts.reading import read_report

__all__ = ["Report", "fact_about", "read_report"]
