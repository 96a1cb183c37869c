"""An invented library in a folder, and the whole way of a record through it. Touches nothing outside that folder."""
