// Arrays of numbers compared bit by bit. `toEqual` takes a microsecond for every number of a typed array, which is most of the time of a test
// that computes quickly.

/** Whether two arrays have the same bits. */
export function sameBits(a: ArrayBufferView | undefined, b: ArrayBufferView | undefined): boolean {
  return a !== undefined && b !== undefined && bytesOf(a).equals(bytesOf(b));
}

const bytesOf = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);
