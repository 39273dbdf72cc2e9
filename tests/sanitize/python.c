/* The interpreter with a sanitizer's run-time library, which must be in the program from its start. */
#include <Python.h>

int main(int argc, char** argv) { return Py_BytesMain(argc, argv); }
