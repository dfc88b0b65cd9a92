const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of at most `width` characters for each value, drawn to an eighth of a character. Negative values have none. */
export function bars(values: readonly number[], width: number): string[] {
  const largest = Math.max(0, ...values);
  return values.map((value) => {
    if (largest === 0 || value <= 0) return '';
    const eighths = Math.max(1, Math.round((value / largest) * width * 8));
    return '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '');
  });
}
