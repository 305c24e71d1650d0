"""Where a bar stands in a notebook: with its words under it, and at the end only words.

A saved widget is dead when the notebook is opened again; so when the run has ended, plain HTML
takes the place of the bar.
"""

from __future__ import annotations

import html
from typing import Any
from uuid import uuid4

from kirim_pandas.notebook.texts import framed

__all__ = ["BarPlace"]


class BarPlace:
    """Shows a container of widgets in the cell that runs.

    Parameters
    ----------
    container
        The bar.
    """

    def __init__(self, container: Any) -> None:
        import ipywidgets as widgets

        self._display_id = f"kirim-bar-{uuid4()}"
        # Words of any length: inside the bar's own row they would push the bar aside.
        self._words = widgets.HTML(layout=widgets.Layout(margin="0"))
        self._notice = widgets.HTML(layout=widgets.Layout(margin="0"))
        parts = [self._notice, container, self._words]
        box = widgets.VBox(parts, layout=widgets.Layout(max_width="760px"))
        data = box._repr_mimebundle_()
        data["text/plain"] = "The bar needs the kernel that drew it."
        self._publish(data, update=False)

    def say(self, text: str) -> None:
        """Show words under the bar."""
        self._words.value = framed(f'<span class="soft">{html.escape(text)}</span>')

    def announce(self, text: str) -> None:
        """Show a sentence over the bar; like the bar, it is gone at the end."""
        self._notice.value = framed(f"<p>{html.escape(text)}</p>")

    def settle(self, text: str, before: str = "") -> None:
        """Put words in the place of the bar; `before` is HTML that stands above them."""
        page = framed(f"{before}<p>{html.escape(text)}</p>")
        self._publish({"text/html": page, "text/plain": text}, update=True)

    def _publish(self, data: dict[str, Any], *, update: bool) -> None:
        from IPython.display import publish_display_data

        transient = {"display_id": self._display_id}
        publish_display_data(data, transient=transient, update=update)  # type: ignore[no-untyped-call]
