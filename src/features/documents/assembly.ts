import type { Config } from '../../config.ts'
import type { Database } from '../../db/client.ts'
import type { Jobs } from '../../jobs/queue.ts'
import type { Models } from '../../llm/registry.ts'
import type { Broker } from '../../realtime/broker.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Quotas } from '../quotas/service.ts'
import { createDocumentChecks } from './checks.ts'
import { type Citations, createCitations } from './citations.ts'
import { createEmbedder } from './embedder.ts'
import { createIndexing } from './indexing.ts'
import { createDocumentNews } from './news.ts'
import { createPassages, type Passages } from './passages.ts'
import { createRetrieval, type Retrieval } from './retrieval.ts'
import { createDocuments, type Documents } from './service.ts'
import { createSurroundings, type Surroundings } from './surroundings.ts'
import { createVectorRanking } from './vectors.ts'

/** What resolvers can ask for of documents. */
export type DocumentServices = {
  readonly documents: Documents
  readonly retrieval: Retrieval
  readonly citations: Citations
  readonly surroundings: Surroundings
}

type Dependencies = {
  config: Config
  database: Database
  jobs: Jobs
  models: Models
  quotas: Quotas
  broker: Broker
  log: Log
}

/** Puts the parts of this slice together; `passages` is what the context of a reply takes of it. */
export function createDocumentServices(
  dependencies: Dependencies,
): DocumentServices & { passages: Passages } {
  const { config, database, models, quotas, broker, log } = dependencies
  const checks = createDocumentChecks(config)
  const embedder = createEmbedder(models, quotas, config.llm.embeddingModel)
  const news = createDocumentNews({ broker, log })
  const indexing = createIndexing({ ...dependencies, embedder, news })
  const meaning = embedder && { embedder, vectors: createVectorRanking(embedder, database.vectors) }
  const retrieval = createRetrieval({ checks, meaning, log })
  return {
    documents: createDocuments({ checks, perUser: config.documents.perUser, indexing, news }),
    retrieval,
    citations: createCitations(),
    surroundings: createSurroundings(),
    passages: createPassages({ retrieval, log }),
  }
}
