"""How the site is built: ``nox -s docs``, or ``sphinx-build -W -c docs . site``.

The source folder is the repository, so a link between two pages works on the site and in the
files.  docs/about-this-site.md says why these tools.
"""

import os
import sys
import types
from pathlib import Path

ROOT = Path(__file__).parent.parent
CODE = ROOT / "docs" / "_code"
sys.path[:0] = [str(ROOT), str(CODE)]
os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])  # kernels run this copy, too
os.environ["IPYTHONDIR"] = str(CODE / "ipython")  # nobody's own settings

import kirim_pandas as kp
from kirim_pandas.dask.accessor import KirimDaskFrameAccessor
from kirim_pandas.frame_accessor import KirimFrameAccessor

# The reference shows the verbs under the name that people type: df.kirim.bulk_label.
for name, accessor in (("df", KirimFrameAccessor), ("ddf", KirimDaskFrameAccessor)):
    frames = types.ModuleType(name)
    frames.kirim = accessor  # type: ignore[attr-defined]
    sys.modules[name] = frames

project = "kirim-pandas"
author = "The kirim-pandas maintainers"
version = release = kp.__version__
language = "en"

root_doc = "docs/index"
include_patterns = ["docs/**.md", "notebooks/*.ipynb", "*.md"]
exclude_patterns = ["site", "**/.*"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "as_text",
    "error_texts",
    "nothing_outside",
]
default_role = "code"
nitpicky = True
# What docstrings name in plain words: types of others, and kinds of values.
nitpick_ignore_regex = [("py:(class|obj|exc)", r"(?!kirim_pandas|d?df\.).*")]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_ivar = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_ipywidgets_js = {}  # widgets would be loaded from the network; their text is shown instead

html_theme = "pydata_sphinx_theme"
html_title = "kirim-pandas"
html_static_path = ["_static"]
html_extra_path = ["_static/front"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it is fetched, which a page in a folder may not do
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_sidebars = {"docs/index": [], "CHANGELOG": []}
html_theme_options = {
    "logo": {"text": "kirim-pandas", "alt_text": "kirim-pandas"},
    "navbar_align": "left",
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "show_nav_level": 1,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "back_to_top_button": False,
}
copyright = author  # noqa: A001 - Sphinx's word
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
