// The part of Codebuff's types that the agents beside it use. Nothing of it is left when types are stripped.

export interface StepContext {
  agentState: { agentId: string; messageHistory: unknown[]; output?: Record<string, unknown> }
  prompt?: string
  params?: Record<string, unknown>
  logger: Record<'debug' | 'info' | 'warn' | 'error', (data: unknown, message?: string) => void>
}

export type Step =
  | 'STEP'
  | 'STEP_ALL'
  | { type: 'STEP_TEXT'; text: string }
  | { type: 'GENERATE_N'; n: number }
  | { toolName: string; input: Record<string, unknown>; includeToolCall?: boolean }

export interface AgentDefinition {
  id: string
  displayName: string
  model: string
  version?: string
  publisher?: string
  toolNames?: string[]
  spawnableAgents?: string[]
  inputSchema?: { prompt?: object; params?: object }
  outputMode?: 'last_message' | 'all_messages' | 'structured_output'
  outputSchema?: object
  spawnerPrompt?: string
  systemPrompt?: string
  instructionsPrompt?: string
  stepPrompt?: string
  handleSteps?: (
    context: StepContext,
  ) => Generator<Step, void, { toolResult: { type: 'json'; value: any }[]; stepsComplete: boolean }>
}
