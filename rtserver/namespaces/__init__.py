"""The namespaces that ship with rtserver: /chat, /notifications, /admin. They know nothing of HTTP, Redis or SQL."""
