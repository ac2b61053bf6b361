"""Keeps the rows. The only room that imports SQLAlchemy and alembic, and never in this module.

:class:`~promptlab.store.notebook.Notebook` has the verbs of the domain (begin a run, add images, end it, read it back);
:mod:`~promptlab.store.run_list` answers the two questions that must be quick. Records go in and come out; rows stay
here.
"""
