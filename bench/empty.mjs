// What it takes Node to import any file: for comparison with the first import of the library.
export const backend = {};
