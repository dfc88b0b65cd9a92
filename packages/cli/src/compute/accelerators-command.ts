import { ACCELERATORS, type Accelerator } from '@ergon/compute';
import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { digits } from '../print/quantity.ts';
import { createStyle } from '../print/style.ts';
import { printTable } from '../print/table.ts';

/** `ergon accelerators`: the devices that times and costs are modelled on. Needs no server. */
export function addAcceleratorsCommand(program: Command, context: CommandContext): void {
  program
    .command('accelerators')
    .description('devices: dense peaks, memory, bandwidth, price spans')
    .option('--sources', 'where each figure was found')
    .addHelpText('after', HELP)
    .action((flags: { readonly sources?: boolean }) => {
      if (context.globals().json === true) {
        context.io.writeOut(`${JSON.stringify({ accelerators: ACCELERATORS.map(wire) }, null, 2)}\n`);
      } else if (flags.sources === true) printSources(context);
      else printAccelerators(context);
    });
}

const HELP = `
Peaks are dense, without 2:4 sparsity. Prices are spans over public lists with their date: a start, never a quote.

Examples:
  $ ergon accelerators
  $ ergon accelerators --sources`;

function wire(device: Accelerator) {
  return {
    id: device.id,
    name: device.name,
    vendor: device.vendor,
    peak_flop_per_second: device.peak,
    memory_bytes: device.memoryBytes,
    memory_bandwidth: device.memoryBandwidth,
    link_bandwidth: device.link,
    tdp_watt: device.tdpWatt,
    price_usd_per_hour: {
      low: device.price.low,
      typical: device.price.typical,
      high: device.price.high,
      spot: device.price.spot,
      collected_on: device.price.collectedOn,
      sources: device.price.sources,
    },
    source: device.source,
    note: device.note ?? null,
  };
}

const TERA = 1e12;

function printAccelerators({ io }: CommandContext): void {
  const style = createStyle(io);
  printTable(
    io,
    [
      { name: 'id' },
      { name: 'bf16 TFLOP/s', align: 'right' },
      { name: 'fp8', align: 'right' },
      { name: 'fp4', align: 'right' },
      { name: 'memory GB', align: 'right' },
      { name: 'TB/s', align: 'right' },
      { name: 'link GB/s', align: 'right' },
      { name: 'W', align: 'right' },
      { name: 'USD an hour', align: 'right' },
    ],
    ACCELERATORS.map((device) => [
      device.id,
      tera(device.peak.bf16),
      tera(device.peak.fp8),
      tera(device.peak.fp4),
      digits(device.memoryBytes / 1e9),
      digits(device.memoryBandwidth / TERA),
      device.link === null ? '-' : digits(device.link / 1e9),
      device.tdpWatt === null ? '-' : String(device.tdpWatt),
      priceSpan(device),
    ]),
  );
  const dates = [...new Set(ACCELERATORS.map((device) => device.price.collectedOn))].toSorted();
  io.writeOut(
    style.dim(`prices collected ${dates[0] ?? ''}: low to high (typical) of public lists; --price overrides\n`),
  );
}

function printSources({ io }: CommandContext): void {
  for (const device of ACCELERATORS) {
    io.writeOut(`${device.id}  ${device.name}\n  figures  ${device.source}\n`);
    io.writeOut(`  prices   ${device.price.collectedOn}: ${device.price.sources.join(', ') || 'none found'}\n`);
    if (device.note !== undefined) io.writeOut(`  note     ${device.note}\n`);
  }
}

function tera(value: number | null): string {
  return value === null ? '-' : digits(value / TERA);
}

function priceSpan({ price }: Accelerator): string {
  if (price.low === null || price.high === null) return price.typical === null ? '-' : String(price.typical);
  return `${price.low} to ${price.high}${price.typical === null ? '' : ` (${price.typical})`}`;
}
