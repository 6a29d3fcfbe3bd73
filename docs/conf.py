"""How the site is built of these pages: ``make docs``."""

from importlib.metadata import version as version_of

project = "fluxbatch"
author = "the fluxbatch authors"
release = version_of("fluxbatch")
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4  # headings can be linked to as they are where the repository is read
smartquotes = False  # quotes in prose are often those of a command
html_theme = "furo"
html_title = "fluxbatch"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_last_updated_fmt = None
highlight_language = "text"
pygments_style = "tango"
pygments_dark_style = "native"
html_static_path = ["_static"]
html_css_files = ["site.css"]
