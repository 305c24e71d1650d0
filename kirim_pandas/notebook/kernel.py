"""What stands between this process and the person who watches: a terminal, a kernel, a page.

Nobody can ask a front end what it draws.  What can be known is who sent the cell: JupyterLab,
Notebook 7 and VS Code name the cell in the request; nbclient and papermill say that nobody can
be asked for input; consoles do neither.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from enum import Enum
from typing import Any

from markupsafe import Markup

_SUBSHELLS = "kernel subshells"
"""The name of the feature in a kernel's ``kernel_info`` (Jupyter's protocol 5.5 and later)."""


class Front(Enum):
    """How progress can be shown.

    Attributes
    ----------
    PAGE
        HTML, and updates of what was shown before.
    LINE
        Text, and a carriage return that goes back to the start of the line.
    LOG
        Text that is only added to.
    """

    PAGE = "page"
    LINE = "line"
    LOG = "log"


def front_end() -> Front:
    """Tell how progress can be shown where this code runs."""
    if "marimo" in sys.modules and sys.modules["marimo"].running_in_notebook():
        return Front.LINE
    kernel = _kernel()
    if kernel is None:
        return Front.LINE if sys.stdout is not None and sys.stdout.isatty() else Front.LOG
    request = kernel.get_parent()
    # A front end does not update what an Output widget has caught.
    if "cellId" in request.get("metadata", {}) and not _captured(request):
        return Front.PAGE
    # Consoles draw no updates either, but let people type.
    return Front.LINE if request.get("content", {}).get("allow_stdin") else Front.LOG


def in_notebook() -> bool:
    """Tell whether a Jupyter kernel runs this code."""
    return _kernel() is not None


def somebody_watches() -> bool:
    """Tell whether what is shown unasked is seen: in a notebook, or by a person at a terminal."""
    return in_notebook() or front_end() is not Front.LOG


def clicks_wait() -> bool:
    """Tell whether a click waits until the running cell has ended.

    From ipykernel 7 on, JupyterLab sends clicks to a thread of their own (a subshell).
    """
    features = _kernel().kernel_info.get("supported_features", []) if in_notebook() else []
    return _SUBSHELLS not in features


def let_clicks_pass(button: Any) -> None:
    """Have the clicks on a button handled in the thread that the front end chooses.

    ipykernel 7.4 sends a click to the thread that last spoke to the button, and that is the one
    that runs cells; so the button is told not to remember.
    """
    if getattr(button.comm, "_reply_subshell_for", None) is not None:
        button.comm._reply_subshell_for = None


def publish(
    page: Markup, text: str, *, display_id: str | None = None, update: bool = False, box: Any = None
) -> None:
    """Show something in the cell that runs, or update what was shown before.

    Parameters
    ----------
    page
        HTML, for front ends that draw it.
    text
        The same for all others.
    display_id
        The name by which it is updated.
    update
        Whether it replaces what has that name.
    box
        A widget, for front ends that draw widgets; the others show `page` or `text`.
    """
    from IPython.display import publish_display_data

    data = dict(box._repr_mimebundle_()) if box is not None else {}
    data |= {"text/html": str(page), "text/plain": text}
    transient = {"display_id": display_id} if display_id else {}
    publish_display_data(data, transient=transient, update=update)  # type: ignore[no-untyped-call]


def show(page: Markup, text: str, *, box: Any = None) -> None:
    """Show something where this is called, as an output of its own that stays.

    Parameters
    ----------
    page, text, box
        As for :func:`publish`; outside a notebook `text` is printed.
    """
    told = wrapped(text) if front_end() is Front.LINE else text
    if in_notebook():
        publish(page, told, box=box)
    else:
        print(told, flush=True)


def wrapped(text: str) -> str:
    """Break lines between words where the terminal ends."""
    # One column less: a full line would make some terminals add an empty one.
    wrap = textwrap.TextWrapper(columns(), break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrap.fill(line) for line in text.splitlines())


def columns() -> int:
    """Return how many characters fit a line of the terminal."""
    return shutil.get_terminal_size((80, 24)).columns - 1


def _kernel() -> Any:
    ipython = sys.modules.get("IPython")
    return getattr(ipython.get_ipython() if ipython else None, "kernel", None)


def _captured(request: dict[str, Any]) -> bool:
    """Tell whether an Output widget takes what this cell shows."""
    widgets = sys.modules.get("ipywidgets")
    if widgets is None:
        return False
    states = widgets.Widget.get_manager_state()["state"].values()
    cell = request.get("header", {}).get("msg_id")
    outputs = [state["state"] for state in states if state["model_name"] == "OutputModel"]
    return any(cell and output.get("msg_id") == cell for output in outputs)
