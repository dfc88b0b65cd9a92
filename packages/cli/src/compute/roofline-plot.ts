import { digits, withPrefix } from '../print/quantity.ts';

/** A phase of a request on the plane of the roofline. */
export type RooflinePoint = {
  /** One character that marks it. */
  readonly mark: string;
  readonly label: string;
  /** FLOP a byte. */
  readonly intensity: number;
  /** FLOP/s of one device, reached. */
  readonly rate: number;
};

export type Roof = {
  /** FLOP/s of one device at the precision of the matrices. */
  readonly peak: number;
  /** byte/s. */
  readonly bandwidth: number;
};

const WIDTH = 64;
const HEIGHT = 14;
/** FLOP a byte, from left to right. */
const INTENSITY_FROM = 0.25;
const INTENSITY_TO = 8192;
/** Decades of FLOP/s below the peak that are drawn. */
const DECADES = 3.5;

/**
 * The roofline (Williams, Waterman and Patterson, 2009) in characters, both axes logarithmic: what a device can do at each
 * arithmetic intensity, and where the phases of the requests stand below it.
 */
export function rooflinePlot(roof: Roof, points: readonly RooflinePoint[]): string {
  const grid = Array.from({ length: HEIGHT }, () => Array.from({ length: WIDTH }, () => ' '));
  const put = (column: number, row: number, mark: string): void => {
    const line = grid[row];
    if (line !== undefined && column >= 0 && column < WIDTH) line[column] = mark;
  };
  for (let column = 0; column < WIDTH; column++) {
    const attainable = Math.min(roof.peak, intensityAt(column) * roof.bandwidth);
    put(column, rowOf(attainable, roof.peak), attainable < roof.peak ? '╱' : '─');
  }
  for (const point of points) {
    put(columnOf(point.intensity), Math.max(0, rowOf(point.rate, roof.peak)), point.mark);
  }
  const ridge = roof.peak / roof.bandwidth;
  const scale = [`${withPrefix(roof.peak, 'FLOP/s')} a device`, ...Array.from({ length: HEIGHT - 1 }, () => '')];
  const lines = grid.map((line, row) => `  │${line.join('').trimEnd()}${row === 0 ? `  ${scale[0]}` : ''}`);
  return [
    ...lines,
    `  └${'─'.repeat(WIDTH)}`,
    `   ${axis()}`,
    `   FLOP a byte; bound by compute to the right of ${digits(ridge)}, by memory to the left`,
    ...points.map(
      (point) =>
        `   ${point.mark} ${point.label}: ${digits(point.intensity)} FLOP a byte, ${withPrefix(point.rate, 'FLOP/s')}`,
    ),
    '',
  ].join('\n');
}

function axis(): string {
  const text = Array.from({ length: WIDTH + 6 }, () => ' ');
  for (const value of [1, 8, 64, 512, 4096]) {
    const label = String(value);
    for (let index = 0; index < label.length; index++) text[columnOf(value) + index] = label.charAt(index);
  }
  return text.join('').trimEnd();
}

function columnOf(intensity: number): number {
  const share = Math.log2(intensity / INTENSITY_FROM) / Math.log2(INTENSITY_TO / INTENSITY_FROM);
  return Math.min(WIDTH - 1, Math.max(0, Math.round(share * (WIDTH - 1))));
}

function intensityAt(column: number): number {
  return INTENSITY_FROM * (INTENSITY_TO / INTENSITY_FROM) ** (column / (WIDTH - 1));
}

/** Row 0 is the peak; below the last row nothing is drawn. */
function rowOf(rate: number, peak: number): number {
  return Math.round((Math.log10(peak / rate) / DECADES) * (HEIGHT - 1));
}
