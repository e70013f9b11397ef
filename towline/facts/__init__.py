"""What scanners and SBOM tools report about an image, read into facts. Pure: bytes in, data out."""
