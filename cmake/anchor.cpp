// Every library has at least this object file, so that one whose folder holds only headers can be linked alone too.
