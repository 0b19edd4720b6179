"""One function per business action of the credit book."""
