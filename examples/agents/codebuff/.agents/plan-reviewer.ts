import type { AgentDefinition } from './types/agent-definition'

const ROUNDS = 2

const definition: AgentDefinition = {
  id: 'plan-reviewer',
  displayName: 'Plan reviewer',
  version: '1.0.0',
  model: 'scripted/demo',
  toolNames: ['spawn_agents', 'set_output'],
  spawnableAgents: ['question-writer'],
  outputMode: 'structured_output',
  outputSchema: {
    type: 'object',
    properties: {
      verdict: { type: 'string' },
      questions: { type: 'array', items: { type: 'string' } },
    },
    required: ['verdict'],
  },
  spawnerPrompt: 'Spawn it to review a plan before it is carried out',
  systemPrompt: 'You review plans. Be brief.',
  instructionsPrompt: 'Review the plan. Hand the verdict in with set_output.',
  handleSteps: function* ({ logger }) {
    const { toolResult } = yield {
      toolName: 'spawn_agents',
      input: { agents: [{ agent_type: 'question-writer', prompt: 'What is not said?' }] },
    }
    logger.info(toolResult, 'the questions')
    for (let round = 0; round < ROUNDS; round++) {
      const { stepsComplete } = yield 'STEP'
      if (stepsComplete) return
    }
    yield { toolName: 'set_output', input: { verdict: 'undecided' } }
  },
}

export default definition
