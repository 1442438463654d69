// Exponential moving average with bias correction, as TensorBoard smooths: the first points are not drawn to 0.

export function smoothed(values, weight) {
  let average = 0;
  let count = 0;
  return values.map((value) => {
    if (typeof value !== "number") return value;
    average = average * weight + (1 - weight) * value;
    count += 1;
    return average / (1 - weight ** count);
  });
}
