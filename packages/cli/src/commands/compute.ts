import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { addAcceleratorsCommand } from '../compute/accelerators-command.ts';
import { addCalibrateCommand } from '../compute/calibrate-command.ts';
import { addEstimateCommand } from '../compute/estimate-command.ts';
import { addModelsCommand } from '../compute/models-command.ts';
import { addTokenizersCommand } from '../compute/tokenizers-command.ts';

/** `ergon estimate`, `ergon models`, `ergon accelerators`, `ergon calibrate`, `ergon tokenizers`: how much work, from architectures and devices. */
export function addComputeCommands(program: Command, context: CommandContext): void {
  addEstimateCommand(program, context);
  addModelsCommand(program, context);
  addAcceleratorsCommand(program, context);
  addCalibrateCommand(program, context);
  addTokenizersCommand(program, context);
}
