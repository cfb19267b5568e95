"""The API of python-socketio."""
