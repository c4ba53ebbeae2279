// out = gelu(input + bias), the exact GELU (erf). A thread takes four columns of a row; a threadgroup is 64 threads wide
// and 4 rows high: 256 columns are what narrow layers are multiples of, and four rows share the bias in cache.
const int column = int(thread_position_in_grid.x) * 4;
const long row = long(thread_position_in_grid.y);
const int width = input_shape[1];  // a multiple of 4
if (row >= input_shape[0] || column >= width) return;
float v[4];
inlay::load4(input + (row * width + column), v);
for (int i = 0; i < 4; ++i) {
  const float shift = float(bias[column + i]);
  v[i] = inlay::gelu(v[i] + shift);
}
inlay::store4(out + (row * width + column), v);
