"""Uploads: the rows of uploaded files, and the storage of their contents."""
