"""Rules: what each looks at, and how it comes out."""
