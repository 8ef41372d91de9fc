"""A part of a form that is folded away: what a first result does not need."""

from __future__ import annotations

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QToolButton


class FoldedBox(QgsCollapsibleGroupBox):
    """A group that unfolds with the button beside its title, by mouse or keyboard.

    Args:
        title: Of the group.
        name: As an object.
    """

    def __init__(self, title: str, name: str) -> None:
        super().__init__(title)
        self.setObjectName(name)
        self.setCollapsed(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys do nothing here, but on the button
        self.findChild(QToolButton, "collapseButton").setAccessibleName(f"{title}: show or hide")
