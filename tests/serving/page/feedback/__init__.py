"""What people say of answers on the page."""
