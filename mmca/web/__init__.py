"""A page in the browser that shows what networks say of a picture, and where their attention is."""
