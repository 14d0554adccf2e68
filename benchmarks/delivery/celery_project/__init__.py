"""A small Django project that sends each message in a Celery task of its own."""
