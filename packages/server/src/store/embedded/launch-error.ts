/** PostgreSQL cannot be started, and a person has to change something: the message says what happened, the remedy what to do. */
export class LaunchError extends Error {
  readonly remedy: string;

  constructor(message: string, remedy: string, options?: ErrorOptions) {
    super(`${message}. ${remedy}`, options);
    this.name = 'LaunchError';
    this.remedy = remedy;
  }
}
