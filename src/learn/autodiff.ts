// The one file that knows the autodiff library, @jax-js/jax: loaded when it is first needed, an optional peer. The rest of src/learn takes
// its functions and types from here, so that another library could take its place.
//
// Its arrays are owned: a function takes those it is given, and `x.ref` lends one more (docs/guides/methods.md).

import type { JsTree, Array as Tensor } from "@jax-js/jax";
import { BrownianError, checkFunction, checkInteger, checkList, checkObject, shown } from "../errors.js";

export type { Tensor };

/** Nested objects and arrays of tensors: parameters, gradients, noise. */
export type Tree = JsTree<Tensor>;

type Jax = typeof import("@jax-js/jax");

let loaded: Jax | undefined;
let loading: Promise<Jax> | undefined;

/**
 * Loads the autodiff library, once; every other function of brownian/learn that computes with tensors needs it.
 * It computes on WebAssembly, on one thread in Node: the same bits in every run.
 * @throws BrownianError autodiff-missing where @jax-js/jax is not installed or does not start
 *
 * @example
 * await init();
 * tensor([1, 2, 3]).mul(2).js(); // [2, 4, 6]
 */
export async function init(): Promise<void> {
  loading ??= load();
  try {
    loaded = await loading;
  } catch (error) {
    loading = undefined; // tried again next time
    throw new BrownianError(
      "autodiff-missing",
      `brownian/learn needs the library @jax-js/jax, which is not installed or does not load here: npm install @jax-js/jax@0.1.25. (${(error as Error).message.split("\n")[0]})`,
      { cause: error },
    );
  }
}

async function load(): Promise<Jax> {
  // What the library takes for granted and Node 20 has not: it compares with the one and asks the other for its name.
  const scope = globalThis as { Float16Array?: unknown; navigator?: unknown };
  scope.Float16Array ??= class Float16Array {};
  scope.navigator ??= { userAgent: "node" };
  const jax = await import("@jax-js/jax");
  if (!(await jax.init("wasm")).includes("wasm")) throw new Error("its WebAssembly backend does not start");
  jax.defaultDevice("wasm");
  return jax;
}

/**
 * The autodiff library's own functions (numpy, nn, lax, …), for layers and losses of one's own.
 * @throws BrownianError usage before {@link init}
 *
 * @example
 * jax().numpy.exp(tensor(0)).js(); // 1
 */
export function jax(): Jax {
  if (loaded === undefined)
    throw new BrownianError("usage", "Call `await init()` of brownian/learn first: it loads @jax-js/jax.");
  return loaded;
}

/**
 * A float32 tensor of these numbers, which are copied. Default shape: [data.length]; [] makes a scalar.
 * @throws BrownianError usage where the shape holds another number of elements
 *
 * @example
 * tensor(new Float32Array(6), [2, 3]).shape; // [2, 3]
 */
export function tensor(data: Float32Array | readonly number[] | number, shape?: readonly number[]): Tensor {
  const values = typeof data === "number" ? Float32Array.of(data) : isFloats(data) ? data : Float32Array.from(numbersOf(data));
  const wanted = shape ?? (typeof data === "number" ? [] : [values.length]);
  const size = elements(wanted);
  if (size !== values.length)
    throw new BrownianError("usage", `A tensor of shape [${wanted}] has ${size} elements, but ${values.length} were given.`);
  if (size === 0) throw new BrownianError("usage", "A tensor needs at least one element.");
  const { numpy: np } = jax();
  if (size !== 1) return np.array(values, { shape: [...wanted] });
  // The library compiles a kernel for every single number it is given, and keeps it: half a millisecond for each new rate. Of two it keeps the numbers.
  const [value] = values as unknown as [number];
  return np
    .array(Float32Array.of(value, value === 0 ? 1 : 0))
    .slice([0, 1])
    .reshape([...wanted]);
}

/** Not what only has the prototype. */
const isFloats = (data: unknown): data is Float32Array => ArrayBuffer.isView(data) && data instanceof Float32Array;

/** A list of numbers. @throws BrownianError usage */
function numbersOf(data: readonly number[]): readonly number[] {
  for (const value of Array.from(checkList("The data of a tensor (where it is no number)", data)))
    if (typeof value !== "number")
      throw new BrownianError("usage", `The data of a tensor must be numbers, but has ${shown(value)}.`);
  return data;
}

/** How many elements a shape has. */
export function elements(shape: readonly number[]): number {
  if (!Array.isArray(shape)) throw new BrownianError("usage", `A shape must be an array of lengths, but is ${shown(shape)}.`);
  for (const length of shape) checkInteger("A length in a shape", length, 0);
  return shape.reduce((product, length) => product * length, 1);
}

/**
 * The numbers of a tensor, which is consumed.
 *
 * @example
 * values(tensor([1, 2])); // Float32Array [1, 2]
 */
export function values(x: Tensor): Float32Array {
  return checkTensor("x", x).dataSync() as Float32Array;
}

/**
 * The loss and its gradient by the first argument, as one function of the same arguments; to be compiled.
 * @example
 * valueAndGradient((x: Tensor) => x.ref.mul(x))(tensor(3)); // [9, 6]
 */
export function valueAndGradient<P extends Tree, R extends unknown[]>(
  loss: (params: P, ...rest: R) => Tensor,
): (params: P, ...rest: R) => [Tensor, P] {
  const differentiated = jax().valueAndGrad(checkFunction("loss", loss) as unknown as (x: Tensor) => Tensor) as unknown;
  return differentiated as (params: P, ...rest: R) => [Tensor, P];
}

/** What {@link compile} adds to a function. */
export interface Disposer {
  /** Frees what the compiled function keeps. */
  dispose(): void;
}

/**
 * The function, traced and compiled once for each set of shapes: ten times as fast as step by step. It must be pure: what it does besides
 * computing with tensors is done while it is traced only.
 * @typeParam F the type of the function, which the compiled one has as well
 *
 * @example
 * const double = compile((x: Tensor) => x.mul(2));
 * double(tensor([1, 2])).js(); // [2, 4]
 */
export function compile<F extends (...args: never[]) => unknown>(f: F): F & Disposer {
  return jax().jit(checkFunction("f", f) as unknown as (x: Tensor) => Tensor) as unknown as F & { dispose(): void };
}

/** The same function on every tensor of trees of one structure; consumes them. */
export function mapTree<T extends Tree>(f: (...tensors: Tensor[]) => Tensor, tree: T, ...others: T[]): T {
  return jax().tree.map(f, tree, ...others) as unknown as T;
}

/**
 * A tree lent once more: the one passed stays its owner's.
 *
 * @example
 * const logits = network.apply(refTree(params), tensor(new Float32Array(784), [1, 784])); // params may be used again
 */
export function refTree<T extends Tree>(tree: T): T {
  checkNested(tree);
  return jax().tree.ref(tree);
}

/**
 * Gives a tree's memory back.
 *
 * @example
 * disposeTree({ weight: tensor([1, 2]) });
 */
export function disposeTree(tree: Tree): void {
  checkNested(tree);
  jax().tree.dispose(tree);
}

/** The tensors of a tree in its order; owned by the tree still. */
export function leaves(tree: Tree): Tensor[] {
  return jax().tree.leaves<Tensor>(tree);
}

/** Throws a `usage` error unless this is a tensor. `what` names it as the caller knows it. */
export function checkTensor(what: string, x: Tensor): Tensor {
  if (isTensor(x) || isTraced(x)) return x;
  throw new BrownianError("usage", `${what} must be a tensor, but is ${shown(x)}.`);
}

/** What stands for a tensor while a function is traced. */
const isTraced = (x: unknown): boolean => typeof x === "object" && x !== null && "shape" in x && "dtype" in x;

/** Throws a `usage` error unless this is a tree whose leaves are tensors. */
export function checkTree<T extends Tree>(what: string, tree: T): T {
  rebuild(checkObject(what, tree), (node) => {
    if (typeof node !== "object" || node === null || ArrayBuffer.isView(node)) checkTensor(`A leaf of ${what}`, node as Tensor);
    return isTensor(node) || isTraced(node) ? node : undefined;
  });
  return tree;
}

/** Throws a `usage` error for a tree without an end. */
function checkNested(tree: unknown, depth = 0): void {
  if (depth > DEEPEST) throw new BrownianError("usage", "A tree of tensors is nested too deeply, or holds itself.");
  if (typeof tree !== "object" || tree === null || ArrayBuffer.isView(tree) || isTensor(tree) || isTraced(tree)) return;
  for (const child of Object.values(tree)) checkNested(child, depth + 1);
}

/** Trees are no deeper: one that holds itself is not followed for ever. */
const DEEPEST = 100;

/** Whether this is a tensor, and not what tensors are nested in. */
export function isTensor(node: unknown): node is Tensor {
  return node instanceof jax().Array;
}

/**
 * Nested objects and arrays anew: what `replace` gives for a node stands in its place; where it gives undefined, its children are gone into.
 * @param path the names from the root to the node
 */
export function rebuild(
  node: unknown,
  replace: (node: unknown, path: readonly string[]) => unknown,
  path: readonly string[] = [],
): unknown {
  const replaced = replace(node, path);
  if (replaced !== undefined) return replaced;
  if (path.length > DEEPEST) throw new BrownianError("usage", "A tree of tensors is nested too deeply, or holds itself.");
  const entries = Object.entries(checkObject("A tree of tensors, or what is in it,", node as object)).map(
    ([name, child]) => [name, rebuild(child, replace, [...path, name])] as const,
  );
  return Array.isArray(node) ? entries.map(([, child]) => child) : Object.fromEntries(entries);
}

/** Throws a usage error unless x has this shape; null stands for any length. `what` names the tensor as the caller knows it. */
export function checkShape(what: string, x: { readonly shape: readonly number[] }, shape: readonly (number | null)[]): void {
  checkTensor(what, x as Tensor);
  if (x.shape.length === shape.length && shape.every((length, i) => length === null || length === x.shape[i])) return;
  const wanted = shape.map((length) => length ?? "any").join(", ");
  throw new BrownianError("usage", `${what} must have shape [${wanted}], but has [${x.shape.join(", ")}].`);
}
